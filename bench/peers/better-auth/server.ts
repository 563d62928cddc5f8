import { auth } from "./auth";

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  reusePort: Number(process.env.WORKERS) > 1,
  fetch: auth.handler,
});
