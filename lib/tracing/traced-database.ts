import type { Database, Tx } from "../database.ts";
import type { Statement } from "../statement.ts";
import { currentScope, inScope, inSpan, openSpan } from "./tracing.ts";

type Work<Result> = (tx: Tx) => Promise<Result>;

/** Runs a statement that commits alone as a span. */
export function inStatement<Result>(
  database: string,
  { name }: Statement,
  run: () => Promise<Result>,
): Promise<Result> {
  return inSpan({ name: `statement ${name}`, kind: "client", attributes: { database } }, run);
}

/** Runs a transaction as a span, which is named by its last statement, as its fault points are. */
export async function runTraced<Result>(
  database: Database,
  work: Work<Result>,
  run: (database: Database, work: Work<Result>) => Promise<Result>,
): Promise<Result> {
  const scope = currentScope();
  if (scope === undefined) return run(database, work);
  const attributes = { database: database.name };
  const span = openSpan({ name: "transaction", kind: "client", attributes }, scope);
  const statements: string[] = [];
  const end = (error?: unknown) => {
    const name = `transaction ${statements.at(-1) ?? "empty"}`;
    span.end({ name, error, attributes: { statements: statements.join(" ") } });
  };
  try {
    const result = await inScope(span.scope, () => run(database, (tx) => work(noting(tx, statements))));
    end();
    return result;
  } catch (error) {
    end(error);
    throw error;
  }
}

function noting(tx: Tx, statements: string[]): Tx {
  return {
    query(statement, values) {
      statements.push(statement.name);
      return tx.query(statement, values);
    },
    send(statement, values) {
      statements.push(statement.name);
      tx.send(statement, values);
    },
    afterCommit: tx.afterCommit,
  };
}
