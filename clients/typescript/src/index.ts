/** Tenantry's API, typed from its OpenAPI document; `schema.ts` is generated. */

import type { components } from "./schema.js";

export { connect, type Tenantry, type TokenStore } from "./client.js";
export { EventStream, type StreamState } from "./stream.js";
export type { components, operations, paths } from "./schema.js";

/** Every named shape: `Schemas["Member"]`. */
export type Schemas = components["schemas"];
export type ErrorCode = Schemas["ErrorCode"];
/** As `error` has it: openapi-fetch leaves out what is always null. */
export type ErrorReply = Omit<Schemas["ErrorReply"], "data">;
export type TokenPair = Schemas["TokenPair"];
/** What `EventStream` gives out, told apart by `type`. */
export type TenantryEvent = Schemas["Event"];
