import type { ServerResponse } from "node:http";
import type { Context } from "moleculer";
import type { Config } from "../../lib/config.ts";
import { ORDERS_MOVED, type OrdersMoved } from "../../lib/contracts.ts";
import { callAction, defineMixin } from "../../lib/define.ts";
import { drainFirst } from "../../lib/drain.ts";
import { log } from "../../lib/logging.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { createEventStreams, type EventStreams, type Follow } from "./event-streams.ts";
import type { WebRequest } from "./web.ts";

/** Keeps the streams of those who follow orders, and hears which orders have moved. */
export const streaming = (settings: Config) =>
  defineMixin<{ streams: EventStreams }>()({
    methods: {
      /** Answers with a stream. @throws TooManyStreamsError, OverloadedError */
      follow(request: WebRequest, response: ServerResponse, follow: Follow): void {
        this.streams.open(follow, response);
        const [seconds, nanoseconds] = process.hrtime(request.$startTime);
        metricsOf(this.broker).httpAnswered(request.$alias?.path ?? "none", 200, seconds + nanoseconds / 1e9);
      },
    },
    events: {
      [ORDERS_MOVED](ctx: Context<OrdersMoved>) {
        this.streams.moved(ctx.params.orderIds);
      },
    },
    created() {
      this.streams = createEventStreams({
        read: async (orders) =>
          (await callAction(this.broker, "order.moves", { orders }, { caller: "gateway" })).moves,
        onError: (err) => log(this.logger, {}).warn("moves of orders will be looked for again", { err }),
        streamsMax: settings.STREAMS_MAX,
        streamsPerSubjectMax: settings.STREAMS_PER_SUBJECT,
      });
      const metrics = metricsOf(this.broker);
      metrics.collect(() => metrics.set("holdfast_http_streams", this.streams.count()));
      // They would hold the server open for as long as there is.
      drainFirst(this.broker, "event streams", async () => this.streams.stop(), "intake");
    },
    async started() {
      this.streams.start();
    },
    async stopped() {
      this.streams.stop();
    },
  });
