import type { TccFailure } from "./tcc-instance.ts";

/**
 * The TCC language: who takes part, and with which actions. One participant is the pivot: its confirm goes
 * first and alone, and is the only one that may be refused. Terms: Pardon & Pautasso, "Atomic Distributed
 * Transactions: a RESTful Design" (2014); barrier rules as in DTM and Seata's TCC fence.
 */
export interface TccScope<Input> {
  readonly gid: string;
  readonly input: Input;
  /** Why it is cancelled. */
  readonly failure?: TccFailure;
}

export interface TccOperation {
  readonly action: string;
  readonly params: (scope: TccScope<unknown>) => object;
}

export type TccPhase = "try" | "confirm" | "cancel";

export interface TccParticipantDefinition {
  readonly name: string;
  readonly pivot: boolean;
  readonly operations: Readonly<Record<TccPhase, TccOperation>>;
}

export interface TccDefinition<Input = unknown> {
  readonly type: string;
  /** Longest time from the start to the decision. */
  readonly deadlineMs: number;
  readonly participants: readonly TccParticipantDefinition[];
  /** Type only: what an instance is started with. */
  readonly input?: Input;
}

type Operation<Input, Actions> = {
  [Action in keyof Actions]: {
    readonly action: Action;
    readonly params: (
      scope: TccScope<Input>,
    ) => Actions[Action] extends { params: infer Params } ? Params : never;
  };
}[keyof Actions];

interface Participant<Input, Actions> {
  readonly pivot?: boolean;
  readonly try: Operation<Input, Actions>;
  readonly confirm: Operation<Input, Actions>;
  readonly cancel: Operation<Input, Actions>;
}

/**
 * Defines a TCC over the given contracts: `defineTcc<Actions>()<Input>("TYPE", deadlineMs, { name: {…} })`.
 * @throws TypeError when there is not exactly one pivot
 */
export const defineTcc =
  <Actions>() =>
  <Input>(
    type: string,
    deadlineMs: number,
    participants: Readonly<Record<string, Participant<Input, Actions>>>,
  ): TccDefinition<Input> => {
    const definitions = Object.entries(participants).map(([name, participant]) => ({
      name,
      pivot: participant.pivot ?? false,
      // The typed parameter above is what checks them; inside the engine an operation is an action and its params.
      operations: participant as unknown as TccParticipantDefinition["operations"],
    }));
    if (definitions.filter(({ pivot }) => pivot).length !== 1) {
      throw new TypeError(`${type} needs exactly one pivot`);
    }
    return { type, deadlineMs, participants: definitions };
  };
