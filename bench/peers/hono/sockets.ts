import type { WSContext } from "hono/ws";

const rooms = new Map<string, Set<WSContext>>();

export function join(organisationId: string, socket: WSContext) {
  let room = rooms.get(organisationId);
  if (!room) rooms.set(organisationId, (room = new Set()));
  room.add(socket);
}

export function leave(organisationId: string, socket: WSContext) {
  const room = rooms.get(organisationId);
  room?.delete(socket);
  if (room?.size === 0) rooms.delete(organisationId);
}

export function send(organisationId: string, type: string, payload: unknown) {
  const text = JSON.stringify({ type, payload });
  for (const socket of rooms.get(organisationId) ?? []) socket.send(text);
}
