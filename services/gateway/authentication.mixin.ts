import { Errors } from "moleculer";
import type { Config } from "../../lib/config.ts";
import { callAction, defineMixin } from "../../lib/define.ts";
import { factsOf } from "../../lib/errors.ts";
import { log } from "../../lib/logging.ts";
import { readinessOf } from "../../lib/readiness.ts";
import { createVerifier, type Verifier } from "./auth.ts";
import { openKeys } from "./keys.ts";
import { followRevocations, type Revocations } from "./revocations.ts";

interface Authentication {
  /** Answers whose token it is. */
  verify: Verifier;
  revocations: Revocations;
}

/** Tells who asks: by the keys of JWT_KEYS, and by what the customer service knows of revoked tokens. */
export const authentication = (settings: Config) =>
  defineMixin<Authentication>()({
    methods: {
      /**
       * No request is answered 503 after a start in which all is well. Where the customer service runs elsewhere,
       * readiness keeps requests away until we know.
       */
      async learnRevocations(): Promise<void> {
        if (settings.SERVICES.includes("customer")) await this.revocations.loaded;
      },
    },
    created() {
      this.revocations = followRevocations({
        changesAfter: async (after) => {
          const action = "customer.tokenVersions";
          // The broker would warn of it, with a stack, at each start.
          if (!this.broker.registry.actions.isAvailable(action))
            throw new Errors.ServiceNotFoundError({ action });
          return callAction(this.broker, action, { after }, { caller: "gateway" });
        },
        intervalMs: settings.REVOCATION_POLL_MS,
        stalenessMaxMs: settings.REVOCATION_STALENESS_SECONDS * 1_000,
        onError: (err, loaded) => {
          // Services start beside each other; one that stays away is told by readiness.
          const isStart = !loaded && factsOf(err).type === "SERVICE_NOT_FOUND";
          log(this.logger, {})[isStart ? "debug" : "warn"]("revoked tokens could not be looked up", { err });
        },
      });
    },
    async started() {
      const { revocations } = this;
      this.verify = createVerifier({
        keys: await openKeys(settings.JWT_KEYS),
        issuer: settings.JWT_ISSUER,
        audience: settings.JWT_AUDIENCE,
        skewSeconds: settings.JWT_SKEW_SECONDS,
        isRevoked: revocations.isRevoked,
      });
      readinessOf(this.broker).register("revocations", async () => {
        revocations.isRevoked("", 0);
      });
      revocations.start();
    },
    async stopped() {
      await this.revocations.stop();
    },
  });
