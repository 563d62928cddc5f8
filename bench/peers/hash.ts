// Hashes its first argument with bcryptjs at a cost: once, and prints the hash; or, with a number of
// seconds, for so long, and prints the CPU microseconds of one.
import bcrypt from "bcryptjs";

const [password, cost, seconds] = [process.argv[2]!, Number(process.argv[3]), process.argv[4]];

if (seconds === undefined) {
  console.log(await bcrypt.hash(password, cost));
} else {
  for (let warm = 0; warm < 20; warm++) await bcrypt.hash(password, cost);
  const [start, before] = [performance.now(), process.cpuUsage()];
  let hashed = 0;
  for (; performance.now() - start < Number(seconds) * 1000; hashed++) {
    await bcrypt.hash(password, cost);
  }
  const { user, system } = process.cpuUsage(before);
  console.log((user + system) / hashed);
}
