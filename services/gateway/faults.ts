import { factsOf } from "../../lib/errors.ts";
import { FAULTS_PATTERN } from "../../lib/fault-points.ts";
import { SERVICE_NAMES, type ServiceName } from "../../lib/settings.ts";
import { bodyReader } from "./body-schema.ts";
import { FaultInjectionOffError } from "./refusals.ts";
import { type ApiRequest, type Call, ok, type Reply } from "./request.ts";

interface Wanted {
  readonly faults: string;
  readonly service?: ServiceName;
}

export const faultsBody = bodyReader<Wanted>({
  faults: {
    type: "string",
    max: 4_000,
    pattern: FAULTS_PATTERN,
    // Disarms: whoever sends the examples, all in a row, leaves nothing behind that fails.
    json: { examples: [""] },
  },
  service: { type: "enum", values: [...SERVICE_NAMES], optional: true },
});

/** POST /ops/faults: has the nodes of a service, or all, fail at these points. @throws FaultInjectionOffError */
export async function armFaults({ principal, body }: ApiRequest<Wanted>, call: Call): Promise<Reply> {
  try {
    return ok(await call("faults.arm", { ...body, actor: principal.subject }));
  } catch (error) {
    // No node has the action: none was started with leave to be made to fail.
    if (factsOf(error).type === "SERVICE_NOT_FOUND") throw new FaultInjectionOffError();
    throw error;
  }
}
