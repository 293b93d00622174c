import DbService from "moleculer-db";
import SqlAdapter from "moleculer-db-adapter-sequelize";
import { type Model, type ModelStatic, Sequelize, type WhereOptions } from "sequelize";
import { config, databaseUrl } from "../lib/config.ts";
import { defineMixin, type Mixin } from "../lib/define.ts";
import type { DatabaseName } from "../lib/settings.ts";

/** What we use of the moleculer-db adapter. */
export interface ReadAdapter<Row> {
  find(filters: { query: WhereOptions; sort?: string | readonly string[]; limit?: number }): Promise<Row[]>;
}

interface DbVars<Row> {
  adapter: ReadAdapter<Row>;
}

// moleculer-db's actions would let any node write past the aggregates: none is published, ours are explicit.
const NO_ACTIONS = {
  find: false,
  count: false,
  list: false,
  create: false,
  insert: false,
  get: false,
  update: false,
  remove: false,
} as const;

/**
 * Filtered reads by moleculer-db over Sequelize, with a small pool of their own and the planner's full
 * freedom. The adapter is built in `merged`, which runs after Moleculer has cloned the schema: built
 * earlier, it would hold a cloned Sequelize with a second pool. Migrations own the schema: a model class is
 * never synced.
 */
export const readModel = <Row extends Model>(
  name: DatabaseName,
  define: (sequelize: Sequelize) => ModelStatic<Row>,
) =>
  defineMixin<DbVars<Row>>()({
    // The package's types declare a class; what it exports is a schema.
    mixins: [DbService as unknown as Mixin],
    actions: NO_ACTIONS,
    merged(schema) {
      const settings = config();
      const sequelize = new Sequelize(databaseUrl(settings, name), {
        dialect: "postgres",
        logging: false,
        pool: { max: 4, min: 0, acquire: 4_000, idle: 10_000 },
        dialectOptions: {
          application_name: `holdfast ${name} reads`,
          statement_timeout: settings.DATABASE_STATEMENT_TIMEOUT_MS,
        },
      });
      Object.assign(schema, { adapter: new SqlAdapter(sequelize), model: define(sequelize) });
    },
  });
