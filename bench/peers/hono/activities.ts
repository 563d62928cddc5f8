import { desc, eq } from "drizzle-orm";
import { alias } from "drizzle-orm/pg-core";
import { Hono } from "hono";
import { db } from "./db";
import { reply } from "./reply";
import { activities, users } from "./schema";
import { authenticated } from "./tokens";

// Joined, as this is faster than Drizzle's relational query of the same.
const actor = alias(users, "actor");
const target = alias(users, "target");

export const activityRoutes = new Hono().use(authenticated).get("/", async (c) => {
  const page = await db
    .select({
      id: activities.id,
      organisationId: activities.organisationId,
      type: activities.type,
      message: activities.message,
      metadata: activities.metadata,
      createdAt: activities.createdAt,
      actor: { id: actor.id, name: actor.name, email: actor.email },
      target: { id: target.id, name: target.name, email: target.email },
    })
    .from(activities)
    .leftJoin(actor, eq(actor.id, activities.actorId))
    .leftJoin(target, eq(target.id, activities.targetId))
    .where(eq(activities.organisationId, c.var.claims.organisationId))
    .orderBy(desc(activities.createdAt))
    .limit(50);
  return reply(c, "Activities fetched", page);
});
