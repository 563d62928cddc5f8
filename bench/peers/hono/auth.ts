import bcrypt from "bcryptjs";
import { eq } from "drizzle-orm";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { db, type Transaction } from "./db";
import { body, reply } from "./reply";
import { memberships, organisations, refreshTokens, users } from "./schema";
import {
  authenticated,
  type Claims,
  REFRESH_LIFETIME,
  signAccess,
  signRefresh,
  verifyRefresh,
} from "./tokens";

// The default of bcryptjs; the benchmark lowers it where it measures what is around the hashing.
export const COST = Number(process.env.BCRYPT_COST ?? 10);

const registration = z.object({
  name: z.string().min(2),
  email: z.email(),
  password: z.string().min(8),
  organisationName: z.string().min(2),
});
const credentials = z.object({ email: z.email(), password: z.string().min(1) });
const refreshing = z.object({ refreshToken: z.string().min(1) });

async function issue(claims: Claims, tx: Transaction | typeof db = db) {
  const token = signRefresh(claims);
  await tx.insert(refreshTokens).values({
    userId: claims.userId,
    token,
    expiresAt: new Date(Date.now() + REFRESH_LIFETIME),
  });
  return { accessToken: signAccess(claims), refreshToken: token };
}

const slugOf = (name: string) =>
  `${name.toLowerCase().replace(/[^a-z0-9]+/g, "-")}-${Bun.randomUUIDv7().slice(-6)}`;

export const auth = new Hono()
  .post("/register", body(registration), async (c) => {
    const input = c.req.valid("json");
    const known = await db.query.users.findFirst({ where: eq(users.email, input.email) });
    if (known) throw new HTTPException(409, { message: "Email already in use" });
    const passwordHash = await bcrypt.hash(input.password, COST);
    const data = await db.transaction(async (tx) => {
      const [organisation] = await tx
        .insert(organisations)
        .values({ name: input.organisationName, slug: slugOf(input.organisationName) })
        .returning();
      const [user] = await tx
        .insert(users)
        .values({ name: input.name, email: input.email, passwordHash })
        .returning();
      const claims = { userId: user!.id, organisationId: organisation!.id, role: "ADMIN" } as const;
      await tx.insert(memberships).values(claims);
      const { id, name, slug } = organisation!;
      return {
        ...(await issue(claims, tx)),
        user: { id: user!.id, name: user!.name, email: user!.email, role: "ADMIN" },
        organisation: { id, name, slug },
      };
    });
    return reply(c, "Registration successful", data, 201);
  })
  .post("/login", body(credentials), async (c) => {
    const { email, password } = c.req.valid("json");
    const user = await db.query.users.findFirst({ where: eq(users.email, email) });
    if (!user || !(await bcrypt.compare(password, user.passwordHash))) {
      throw new HTTPException(401, { message: "Invalid email or password" });
    }
    const membership = await db.query.memberships.findFirst({
      where: eq(memberships.userId, user.id),
      with: { organisation: true },
    });
    if (!membership) throw new HTTPException(401, { message: "Invalid email or password" });
    const { organisation, role } = membership;
    const tokens = await issue({ userId: user.id, organisationId: organisation.id, role });
    return reply(c, "Login successful", {
      ...tokens,
      user: { id: user.id, name: user.name, email: user.email, role },
      organisation: {
        id: organisation.id,
        name: organisation.name,
        slug: organisation.slug,
        subscriptionPlan: organisation.subscriptionPlan,
      },
    });
  })
  .post("/refresh", body(refreshing), async (c) => {
    const { refreshToken } = c.req.valid("json");
    const { userId, organisationId, role } = verifyRefresh(refreshToken);
    const tokens = await db.transaction(async (tx) => {
      const [used] = await tx
        .delete(refreshTokens)
        .where(eq(refreshTokens.token, refreshToken))
        .returning();
      if (!used || used.expiresAt < new Date()) {
        throw new HTTPException(401, { message: "Invalid or expired refresh token" });
      }
      return issue({ userId, organisationId, role }, tx);
    });
    return reply(c, "Token refreshed", tokens);
  })
  .post("/logout", authenticated, async (c) => {
    const { refreshToken } = await c.req.json();
    if (!refreshToken) throw new HTTPException(400, { message: "Refresh token is required" });
    await db.delete(refreshTokens).where(eq(refreshTokens.token, refreshToken));
    return reply(c, "Logged out successfully", null);
  });
