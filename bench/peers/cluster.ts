// So many processes on one port, as Bun's guide has it: bun cluster.ts SERVER, with WORKERS.
const children = Array.from({ length: Number(process.env.WORKERS) }, () =>
  Bun.spawn([process.execPath, process.argv[2]!], { stdio: ["ignore", "inherit", "inherit"] }),
);

process.on("SIGTERM", () => {
  for (const child of children) child.kill();
});
await Promise.all(children.map((child) => child.exited));
