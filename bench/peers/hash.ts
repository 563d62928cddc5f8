// Prints a hash of its argument.
import bcrypt from "bcryptjs";

console.log(await bcrypt.hash(process.argv[2]!, 10));
