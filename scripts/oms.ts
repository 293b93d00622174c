import { speak } from "./oms/speak.ts";
import { targetOf } from "./oms/target.ts";

/**
 * npm run oms: what an operator looks at and does, for people and for scripts, by the gateway's own routes. Exit code 0
 * done, 1 refused or not found, 2 wrong usage, 3 cannot reach.
 */
process.exitCode = await speak(process.argv.slice(2), () => targetOf(), {
  out: (text) => console.log(text),
  err: (text) => console.error(text),
});
