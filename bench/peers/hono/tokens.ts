import { createMiddleware } from "hono/factory";
import { HTTPException } from "hono/http-exception";
import jwt from "jsonwebtoken";
import type { Role } from "./schema";

export type Claims = { userId: string; organisationId: string; role: Role };

const ACCESS_SECRET = process.env.JWT_ACCESS_SECRET!;
const REFRESH_SECRET = process.env.JWT_REFRESH_SECRET!;
export const REFRESH_LIFETIME = 7 * 24 * 3600 * 1000;

export const signAccess = (claims: Claims) =>
  jwt.sign(claims, ACCESS_SECRET, { expiresIn: "15m" });

export const signRefresh = (claims: Claims) =>
  jwt.sign(claims, REFRESH_SECRET, { expiresIn: "7d", jwtid: crypto.randomUUID() });

export function verifyAccess(token: string): Claims {
  try {
    return jwt.verify(token, ACCESS_SECRET) as Claims;
  } catch {
    throw new HTTPException(401, { message: "Invalid or expired access token" });
  }
}

export function verifyRefresh(token: string): Claims {
  try {
    return jwt.verify(token, REFRESH_SECRET) as Claims;
  } catch {
    throw new HTTPException(401, { message: "Invalid or expired refresh token" });
  }
}

type Env = { Variables: { claims: Claims } };

export const authenticated = createMiddleware<Env>(async (c, next) => {
  const header = c.req.header("Authorization");
  if (!header?.startsWith("Bearer ")) {
    throw new HTTPException(401, { message: "No token provided" });
  }
  c.set("claims", verifyAccess(header.slice(7)));
  await next();
});

export const adminOnly = createMiddleware<Env>(async (c, next) => {
  if (c.var.claims.role !== "ADMIN") {
    throw new HTTPException(403, {
      message: "You do not have permission to perform this action",
    });
  }
  await next();
});
