/** What a bus needs of a logger; Moleculer's and pino's both fit. */
export interface BusLogger {
  debug(message: string, facts?: object): void;
  info(message: string, facts?: object): void;
  warn(message: string, facts?: object): void;
  error(message: string, facts?: object): void;
}

const nothing = () => undefined;

export const silentLogger: BusLogger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
