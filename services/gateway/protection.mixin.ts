import type { Config } from "../../lib/config.ts";
import { defineMixin } from "../../lib/define.ts";
import { log } from "../../lib/logging.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { type Admission, createAdmission } from "./admission.ts";
import { createGatewayShedder, type LoopDelay, type Shedder, watchLoopDelay } from "./shedding.ts";
import { createTransportHeaders, type TransportHeaders } from "./transport-headers.ts";
import type { WebRequest } from "./web.ts";

interface Protection {
  /** How long a client waits that has not said otherwise. */
  timeoutMs: number;
  admission: Admission;
  shedder: Shedder;
  loopDelay: LoopDelay;
  transport: TransportHeaders;
}

/** What stands between the network and the routes: who is heard, how much at once, and what every answer's head says. */
export const protection = (settings: Config) =>
  defineMixin<Protection>()({
    methods: {
      onBlind({ correlationId }: WebRequest, err: unknown): void {
        log(this.logger, { correlationId }).warn(
          "what was accepted is answered as that: its end is out of sight",
          {
            err,
          },
        );
      },
    },
    created() {
      this.timeoutMs = settings.REQUEST_TIMEOUT_MS;
      this.admission = createAdmission(this.broker, settings);
      this.loopDelay = watchLoopDelay();
      this.shedder = createGatewayShedder(settings, metricsOf(this.broker), this.loopDelay);
      this.transport = createTransportHeaders(settings);
    },
    async stopped() {
      this.loopDelay.stop();
    },
  });
