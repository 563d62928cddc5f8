import bcrypt from "bcryptjs";
import { and, count, eq, isNull } from "drizzle-orm";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { COST } from "./auth";
import { db } from "./db";
import { MEMBER_LIMITS } from "./organisations";
import { body, reply } from "./reply";
import { activities, invites, memberships, organisations, users } from "./schema";
import { send } from "./sockets";
import { adminOnly, authenticated } from "./tokens";

const INVITE_LIFETIME = 24 * 3600 * 1000;
const invitation = z.object({ email: z.email(), role: z.enum(["ADMIN", "MEMBER"]).default("MEMBER") });
const acceptance = z.object({
  token: z.string().min(1),
  name: z.string().min(2),
  password: z.string().min(8),
});

export const userRoutes = new Hono()
  .get("/", authenticated, adminOnly, async (c) => {
    const members = await db
      .select({
        id: users.id,
        name: users.name,
        email: users.email,
        role: memberships.role,
        organisationId: memberships.organisationId,
        createdAt: memberships.createdAt,
        updatedAt: memberships.updatedAt,
      })
      .from(memberships)
      .innerJoin(users, eq(users.id, memberships.userId))
      .where(eq(memberships.organisationId, c.var.claims.organisationId))
      .orderBy(memberships.createdAt);
    return reply(c, "Users fetched", members);
  })
  .post("/invite", authenticated, adminOnly, body(invitation), async (c) => {
    const { email, role } = c.req.valid("json");
    const { userId, organisationId } = c.var.claims;
    const organisation = await db.query.organisations.findFirst({
      where: eq(organisations.id, organisationId),
    });
    const limit = MEMBER_LIMITS[organisation!.subscriptionPlan];
    const [members] = await db
      .select({ count: count() })
      .from(memberships)
      .where(eq(memberships.organisationId, organisationId));
    if (limit !== null && members!.count >= limit) {
      const message = `Member limit reached for ${organisation!.subscriptionPlan} plan. Please upgrade.`;
      throw new HTTPException(403, { message });
    }
    const [member] = await db
      .select({ id: users.id })
      .from(users)
      .innerJoin(memberships, eq(memberships.userId, users.id))
      .where(and(eq(users.email, email), eq(memberships.organisationId, organisationId)));
    if (member) {
      throw new HTTPException(409, { message: "User already exists in this organisation" });
    }
    const open = await db.query.invites.findFirst({
      where: and(
        eq(invites.organisationId, organisationId),
        eq(invites.email, email),
        isNull(invites.acceptedAt),
      ),
    });
    if (open) throw new HTTPException(409, { message: "Invite already sent to this email" });
    const invite = await db.transaction(async (tx) => {
      const [made] = await tx
        .insert(invites)
        .values({
          organisationId,
          email,
          role,
          token: crypto.randomUUID(),
          expiresAt: new Date(Date.now() + INVITE_LIFETIME),
        })
        .returning();
      await tx.insert(activities).values({
        organisationId,
        type: "INVITE_SENT",
        message: `${email} was invited`,
        metadata: { email, role },
        actorId: userId,
      });
      return made!;
    });
    const { id, token, expiresAt } = invite;
    return reply(c, "Invite sent successfully", { id, email, role, token, expiresAt }, 201);
  })
  .post("/accept-invite", body(acceptance), async (c) => {
    const { token, name, password } = c.req.valid("json");
    const invite = await db.query.invites.findFirst({
      where: and(eq(invites.token, token), isNull(invites.acceptedAt)),
    });
    if (!invite) {
      throw new HTTPException(404, { message: "Invalid or already used invite token" });
    }
    if (invite.expiresAt < new Date()) {
      throw new HTTPException(410, { message: "Invite has expired" });
    }
    const { email, organisationId, role } = invite;
    const known = await db.query.users.findFirst({ where: eq(users.email, email) });
    if (known) {
      throw new HTTPException(409, { message: "An account with this email already exists" });
    }
    const passwordHash = await bcrypt.hash(password, COST);
    const user = await db.transaction(async (tx) => {
      const [made] = await tx.insert(users).values({ name, email, passwordHash }).returning();
      await tx.insert(memberships).values({ organisationId, userId: made!.id, role });
      await tx.update(invites).set({ acceptedAt: new Date() }).where(eq(invites.id, invite.id));
      await tx.insert(activities).values({
        organisationId,
        type: "INVITE_ACCEPTED",
        message: `${name} joined the organisation`,
        metadata: { userId: made!.id, name, email, role },
        actorId: made!.id,
      });
      return made!;
    });
    send(organisationId, "USER_JOINED", { userId: user.id, name, email, role });
    const data = { id: user.id, name, email, role, organisationId };
    return reply(c, "Invite accepted successfully", data, 201);
  });
