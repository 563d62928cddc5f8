import { zValidator } from "@hono/zod-validator";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { ZodType } from "zod";

export const reply = (
  c: Context,
  message: string,
  data: unknown,
  status: ContentfulStatusCode = 200,
) => c.json({ success: true, message, data }, status);

export const body = <T extends ZodType>(schema: T) =>
  zValidator("json", schema, (result) => {
    if (!result.success) {
      throw new HTTPException(422, { message: result.error.issues[0]!.message });
    }
  });
