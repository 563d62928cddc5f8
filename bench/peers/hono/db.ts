import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import * as schema from "./schema";

// PGHOST is the folder of a Unix socket, or a name; postgres.js reads it, PGDATABASE and PGUSER.
export const db = drizzle(postgres({ max: 10 }), { schema });

export type Transaction = Parameters<Parameters<typeof db.transaction>[0]>[0];
