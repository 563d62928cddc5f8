import { Hono } from "hono";
import { upgradeWebSocket, websocket } from "hono/bun";
import { HTTPException } from "hono/http-exception";
import type { WSContext } from "hono/ws";
import { activityRoutes } from "./activities";
import { auth } from "./auth";
import { organisationRoutes } from "./organisations";
import { join, leave } from "./sockets";
import { type Claims, verifyAccess } from "./tokens";
import { userRoutes } from "./users";

const app = new Hono();

app.get("/health", (c) => c.json({ status: "ok" }));
app.route("/api/auth", auth);
app.route("/api/organisations", organisationRoutes);
app.route("/api/users", userRoutes);
app.route("/api/activities", activityRoutes);

app.get(
  "/ws",
  upgradeWebSocket((c) => {
    const claims: Claims = verifyAccess(c.req.query("token") ?? "");
    let joined: WSContext;
    return {
      onOpen(_, socket) {
        joined = socket;
        join(claims.organisationId, joined);
        const payload = { message: "Connected to real-time channel" };
        socket.send(JSON.stringify({ type: "CONNECTED", payload }));
      },
      onMessage(event, socket) {
        try {
          if (JSON.parse(String(event.data)).type === "PING") socket.send('{"type":"PONG"}');
        } catch {
          // what is no JSON is ignored
        }
      },
      onClose() {
        leave(claims.organisationId, joined);
      },
    };
  }),
);

app.notFound((c) => c.json({ success: false, message: "Not found", data: null }, 404));
app.onError((error, c) => {
  if (error instanceof HTTPException) {
    return c.json({ success: false, message: error.message, data: null }, error.status);
  }
  console.error(error);
  return c.json({ success: false, message: "Internal server error", data: null }, 500);
});

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  reusePort: Number(process.env.WORKERS) > 1,
  fetch: app.fetch,
  websocket,
});
