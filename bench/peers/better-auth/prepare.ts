// Makes the tables, and prints a hash of the password that is its argument.
import { hashPassword } from "better-auth/crypto";
import { getMigrations } from "better-auth/db/migration";
import { auth } from "./auth";

const { runMigrations } = await getMigrations(auth.options);
await runMigrations();
console.log(await hashPassword(process.argv[2]!));
process.exit(0);
