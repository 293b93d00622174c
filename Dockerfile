# One image for every service: SERVICES says which of them a container runs.
# Nothing is compiled: Node runs the TypeScript sources as they are.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS modules
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Optional packages are the PostgreSQL and the Node that `npm start` brings along; a container has both elsewhere.
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM ${NODE_IMAGE}
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/var/lib/holdfast
WORKDIR /app
# A named volume takes its owner from here.
RUN install -d -o node -g node -m 0700 /var/lib/holdfast
COPY --from=modules /app/node_modules node_modules
COPY . .
# A number: Kubernetes' runAsNonRoot cannot tell who a name is.
USER 1000:1000
EXPOSE 3000 3030
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["node", "scripts/probe.ts", "/live"]
# Node itself is process 1: SIGTERM reaches it, and it drains.
CMD ["node", "--max-semi-space-size=32", "scripts/serve.ts"]
