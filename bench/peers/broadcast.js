// What Tenantry is measured against: Bun's own WebSockets, sent to in a plain loop.
// POST /broadcast?count=N sends the body N times to every socket; GET /health answers.
const sockets = new Set();

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  async fetch(request, server) {
    if (server.upgrade(request)) return;
    if (request.method === "GET") return new Response("ok");
    const text = await request.text();
    const count = Number(new URL(request.url).searchParams.get("count"));
    for (let sent = 0; sent < count; sent++) for (const socket of sockets) socket.send(text);
    return new Response("sent");
  },
  websocket: {
    open: (socket) => sockets.add(socket),
    close: (socket) => sockets.delete(socket),
    message() {},
  },
});
