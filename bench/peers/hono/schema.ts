import { relations } from "drizzle-orm";
import { jsonb, pgTable, primaryKey, text, timestamp, uuid } from "drizzle-orm/pg-core";

const id = () => uuid("id").primaryKey().$defaultFn(() => Bun.randomUUIDv7());
const createdAt = () => timestamp("created_at", { withTimezone: true }).notNull().defaultNow();
const updatedAt = () => timestamp("updated_at", { withTimezone: true }).notNull().defaultNow();

export const organisations = pgTable("organisations", {
  id: id(),
  name: text("name").notNull(),
  slug: text("slug").notNull().unique(),
  subscriptionPlan: text("subscription_plan").$type<Plan>().notNull().default("FREE"),
  createdAt: createdAt(),
  updatedAt: updatedAt(),
});

export const users = pgTable("users", {
  id: id(),
  email: text("email").notNull().unique(),
  name: text("name").notNull(),
  passwordHash: text("password_hash").notNull(),
  createdAt: createdAt(),
  updatedAt: updatedAt(),
});

export const memberships = pgTable(
  "memberships",
  {
    organisationId: uuid("organisation_id").notNull().references(() => organisations.id),
    userId: uuid("user_id").notNull().references(() => users.id),
    role: text("role").$type<Role>().notNull(),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (table) => [primaryKey({ columns: [table.organisationId, table.userId] })],
);

export const invites = pgTable("invites", {
  id: id(),
  organisationId: uuid("organisation_id").notNull().references(() => organisations.id),
  email: text("email").notNull(),
  role: text("role").$type<Role>().notNull(),
  token: text("token").notNull().unique(),
  expiresAt: timestamp("expires_at", { withTimezone: true }).notNull(),
  acceptedAt: timestamp("accepted_at", { withTimezone: true }),
  createdAt: createdAt(),
});

export const activities = pgTable("activities", {
  id: id(),
  organisationId: uuid("organisation_id").notNull().references(() => organisations.id),
  type: text("type").notNull(),
  message: text("message").notNull(),
  metadata: jsonb("metadata").notNull(),
  actorId: uuid("actor_id").references(() => users.id),
  targetId: uuid("target_id").references(() => users.id),
  createdAt: createdAt(),
});

export const refreshTokens = pgTable("refresh_tokens", {
  id: id(),
  userId: uuid("user_id").notNull().references(() => users.id),
  token: text("token").notNull().unique(),
  expiresAt: timestamp("expires_at", { withTimezone: true }).notNull(),
  createdAt: createdAt(),
});

export const membershipsRelations = relations(memberships, ({ one }) => ({
  user: one(users, { fields: [memberships.userId], references: [users.id] }),
  organisation: one(organisations, {
    fields: [memberships.organisationId],
    references: [organisations.id],
  }),
}));

export type Role = "ADMIN" | "MEMBER";
export type Plan = "FREE" | "PRO" | "ENTERPRISE";
