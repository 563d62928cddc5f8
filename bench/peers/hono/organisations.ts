import { eq } from "drizzle-orm";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { db } from "./db";
import { body, reply } from "./reply";
import { activities, memberships, organisations, type Plan, users } from "./schema";
import { send } from "./sockets";
import { adminOnly, authenticated } from "./tokens";

export const MEMBER_LIMITS: Record<Plan, number | null> = { FREE: 3, PRO: 10, ENTERPRISE: null };

export const organisationRoutes = new Hono()
  .use(authenticated)
  .get("/", async (c) => {
    const { organisationId } = c.var.claims;
    const [organisation] = await db
      .select({
        id: organisations.id,
        name: organisations.name,
        slug: organisations.slug,
        subscriptionPlan: organisations.subscriptionPlan,
        createdAt: organisations.createdAt,
        memberCount: db.$count(memberships, eq(memberships.organisationId, organisations.id)),
      })
      .from(organisations)
      .where(eq(organisations.id, organisationId));
    if (!organisation) throw new HTTPException(404, { message: "Organisation not found" });
    const memberLimit = MEMBER_LIMITS[organisation.subscriptionPlan];
    return reply(c, "Organisation fetched", { ...organisation, memberLimit });
  })
  .post("/broadcast", adminOnly, body(z.object({ message: z.string().min(1) })), async (c) => {
    const { message } = c.req.valid("json");
    const { userId, organisationId } = c.var.claims;
    const payload = { message, sentBy: userId, sentAt: new Date() };
    const [activity] = await db
      .insert(activities)
      .values({
        organisationId,
        type: "BROADCAST_MESSAGE",
        message,
        metadata: payload,
        actorId: userId,
      })
      .returning();
    const actor = await db.query.users.findFirst({
      columns: { id: true, name: true, email: true },
      where: eq(users.id, userId),
    });
    send(organisationId, "BROADCAST_MESSAGE", payload);
    const { actorId, targetId, ...rest } = activity!;
    return reply(c, "Message broadcasted", { ...rest, actor, target: null }, 201);
  });
