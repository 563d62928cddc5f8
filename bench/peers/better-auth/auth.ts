import { betterAuth } from "better-auth";
import { organization } from "better-auth/plugins";
import { Pool } from "pg";

export const auth = betterAuth({
  baseURL: `http://127.0.0.1:${process.env.PORT}`,
  secret: process.env.JWT_ACCESS_SECRET,
  database: new Pool({ max: 10 }), // where PGHOST, PGDATABASE and PGUSER say
  emailAndPassword: { enabled: true },
  plugins: [organization()],
  rateLimit: { enabled: false },
});
