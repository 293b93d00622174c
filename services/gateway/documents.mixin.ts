import type { ServerResponse } from "node:http";
import type { Config } from "../../lib/config.ts";
import { defineMixin } from "../../lib/define.ts";
import { internalPagesOf } from "../../lib/internal-server.middleware.ts";
import { DOCUMENT_PATHS, showDocument } from "./documents.ts";
import { MethodNotAllowedError, RouteNotFoundError } from "./refusals.ts";
import type { WebRequest } from "./web.ts";

interface Documents {
  /** On the public port. */
  showsDocuments: boolean;
}

/** What explains the API, where this deployment shows it: to everybody, on the internal port, or nowhere. */
export const documents = (settings: Config) =>
  defineMixin<Documents>()({
    methods: {
      async handleDocument(path: string, request: WebRequest, response: ServerResponse): Promise<void> {
        if (request.method !== "GET") throw new MethodNotAllowedError(["GET"]);
        if (!this.showsDocuments) throw new RouteNotFoundError();
        await showDocument(path, request, response);
      },
    },
    created() {
      this.showsDocuments = settings.DOCS === "true";
      if (settings.DOCS !== "internal") return;
      const pages = internalPagesOf(this.broker);
      for (const path of DOCUMENT_PATHS)
        pages.set(path, (request, response) => showDocument(path, request, response));
    },
  });
