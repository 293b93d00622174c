import type { ServerResponse } from "node:http";
import type { PersonalData } from "../../lib/personal-data/personal-data.ts";
import type { Admission } from "./admission.ts";
import type { Verifier } from "./auth.ts";
import { hasBody, readJson } from "./body.ts";
import type { TokenRoute } from "./contract/route.ts";
import { ForbiddenError } from "./refusals.ts";
import { hasRole, type RawRequest } from "./request.ts";
import type { WebRequest } from "./web.ts";

export interface Gate {
  readonly verify: Verifier;
  readonly admission: Admission;
  readonly personalData: PersonalData;
}

/** The request as its route sees it. @throws what keeps its sender from asking for this */
export async function authorise(
  { verify, admission, personalData }: Gate,
  route: TokenRoute,
  request: WebRequest,
  response: ServerResponse,
): Promise<Omit<RawRequest, "waiting">> {
  const { headers, $params } = request;
  const principal = await verify(headers.authorization);
  request.subject = principal.subject;
  admission.subject(principal, response);
  const mayLack = route.method === "GET" || (route.optionalBody && !hasBody(request));
  const body = mayLack ? undefined : await readJson(request);
  if (!hasRole(principal, ...route.roles)) {
    throw new ForbiddenError(`This takes one of the roles ${route.roles.join(", ")}.`);
  }
  return { principal, headers, path: $params.params, query: $params.query, body, personalData };
}
