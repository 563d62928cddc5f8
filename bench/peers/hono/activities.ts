import { desc, eq } from "drizzle-orm";
import { Hono } from "hono";
import { db } from "./db";
import { reply } from "./reply";
import { activities } from "./schema";
import { authenticated } from "./tokens";

const person = { columns: { id: true, name: true, email: true } } as const;

export const activityRoutes = new Hono().use(authenticated).get("/", async (c) => {
  const page = await db.query.activities.findMany({
    columns: { actorId: false, targetId: false },
    where: eq(activities.organisationId, c.var.claims.organisationId),
    with: { actor: person, target: person },
    orderBy: desc(activities.createdAt),
    limit: 50,
  });
  return reply(c, "Activities fetched", page);
});
