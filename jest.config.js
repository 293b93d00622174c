export default {
  testEnvironment: "node",
  testMatch: ["<rootDir>/test/**/*.test.ts"],
  extensionsToTreatAsEsm: [],
  transform: {
    "^.+\\.(ts|js|mjs)$": [
      "@swc/jest",
      {
        jsc: { parser: { syntax: "typescript" }, target: "es2024" },
        module: { type: "commonjs" },
      },
    ],
  },
  // These publish ES modules only; jest's CommonJS registry needs them transformed like our own files.
  transformIgnorePatterns: ["/node_modules/(?!(jose|uuid)/)"],
  testTimeout: 60_000,
  // Most files wait for servers and deadlines: one at a time leaves 40 % of two cores idle.
  maxWorkers: 2,
  testSequencer: "<rootDir>/test/sequencer.js",
};
