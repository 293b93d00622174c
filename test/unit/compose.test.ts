import { SERVICE_NAMES } from "../../lib/settings.ts";
import { configOf, exists, readYaml, stopMsMax, unknownSettings } from "../support/deployment.ts";

/** docker-compose.yml against what it refers to: settings, folders, files, ports, and its own other lines. */

interface Container {
  readonly image: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly networks?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly restart: string;
  readonly stop_grace_period?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
}

interface Compose {
  readonly services: Readonly<Record<string, Container>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const [compose] = readYaml<Compose>("docker-compose.yml");
if (compose === undefined) throw new Error("docker-compose.yml is empty");
const containers = Object.entries(compose.services);
const ours = containers.filter(([, { build }]) => build !== undefined);
const services = ours.filter(([, { environment }]) => environment?.SERVICES !== undefined);
const envOf = ({ environment = {} }: Container) =>
  Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [name, value.replaceAll(/\$\{\w+:-([^}]*)\}/g, "$1")]),
  );

describe("docker-compose.yml", () => {
  it("has a container for each service, named as the service", () => {
    expect(services.map(([name]) => name).sort()).toEqual([...SERVICE_NAMES].sort());
    for (const [name, { environment }] of services) {
      expect(environment?.SERVICES).toBe(name);
      expect(exists(`services/${name}/${name}.service.ts`)).toBe(true);
    }
  });

  it("sets what is a setting, to what a setting may be", () => {
    for (const [, container] of ours) {
      expect(unknownSettings(envOf(container))).toEqual([]);
      configOf(envOf(container));
    }
  });

  it("has all on the same PostgreSQL and Kafka, and the services on NATS with their packets sealed", () => {
    for (const [, container] of ours) {
      const config = configOf(envOf(container));
      expect(config.KAFKA_BROKERS).toBe("kafka:9092");
      expect(new URL(config.DATABASE_URL ?? "").host).toBe("postgres:5432");
    }
    for (const [, container] of services) {
      expect(configOf(envOf(container)).TRANSPORTER).toBe("nats://nats:4222");
      expect(container.environment).toHaveProperty("CLUSTER_SECRETS_FILE");
    }
  });

  it("gives the gateway, and nobody else, the keys of tokens and of personal data", () => {
    const keys = services.map(([name, { environment = {} }]) => [
      name,
      Object.keys(environment).filter((one) => /_KEYS(_FILE)?$/.test(one)),
    ]);
    expect(keys.filter(([, held]) => held?.length)).toEqual([
      ["gateway", ["JWT_KEYS", "PERSONAL_DATA_KEYS"]],
    ]);
  });

  it("lets what runs before the keys are there read no key", () => {
    for (const [, { environment = {} }] of ours.filter(([, { restart }]) => restart === "no"))
      expect(Object.keys(environment).filter((name) => /_FILE$|KEYS/.test(name))).toEqual([]);
  });

  it("opens the port that the gateway listens on, and any port on this machine only", () => {
    const gateway = compose.services.gateway as Container;
    expect(gateway.ports).toEqual([`127.0.0.1:3000:${configOf(envOf(gateway)).PORT}`]);
    const all = containers.flatMap(([, { ports = [] }]) => ports);
    expect(all.filter((port) => !port.startsWith("127.0.0.1:"))).toEqual([]);
    const published = all.map((port) => port.split(":")[1]);
    expect(new Set(published).size).toBe(published.length);
  });

  it("waits for what can come true, and for containers that exist", () => {
    for (const [, { depends_on = {} }] of containers)
      for (const [name, { condition }] of Object.entries(depends_on)) {
        const other = compose.services[name];
        if (condition === "service_healthy") expect(other?.healthcheck?.test).toBeDefined();
        else expect([condition, other?.restart]).toEqual(["service_completed_successfully", "no"]);
      }
  });

  it("starts services when tables, topics and keys are there", () => {
    for (const [, { depends_on }] of services)
      expect(depends_on).toMatchObject({
        migrate: { condition: "service_completed_successfully" },
        "demo-data": { condition: "service_completed_successfully" },
        nats: { condition: "service_healthy" },
      });
  });

  it("knows of everything that runs on whether it is well", () => {
    const blind = containers.filter(([, one]) => one.restart !== "no" && one.healthcheck?.test === undefined);
    expect(blind).toEqual([]);
  });

  it("lets a service finish its work before it is killed", () => {
    for (const [, container] of services) {
      const seconds = /^(\d+)s$/.exec(container.stop_grace_period ?? "")?.[1];
      expect(Number(seconds) * 1_000).toBeGreaterThan(stopMsMax(configOf(envOf(container))));
    }
  });

  it("gives containers of ours no more rights than they need", () => {
    for (const [, container] of ours)
      expect(container).toMatchObject({
        read_only: true,
        cap_drop: ["ALL"],
        security_opt: ["no-new-privileges:true"],
      });
  });

  it("names exact versions of what others make, one network, and files and volumes that exist", () => {
    for (const [, { image, build, volumes = [], networks }] of containers) {
      if (build === undefined) expect(image).toMatch(/:v?\d+\.\d+/);
      expect(networks).toEqual(["holdfast"]);
      for (const [source = ""] of volumes.map((volume) => volume.split(":")))
        expect(source.startsWith("./") ? exists(source) : source in compose.volumes).toBe(true);
    }
  });

  it("runs scripts that exist", () => {
    const scripts = ours.flatMap(([, { command = [], healthcheck }]) => [
      ...command,
      ...(healthcheck?.test ?? []),
    ]);
    for (const script of scripts.filter((word) => word.endsWith(".ts"))) expect(exists(script)).toBe(true);
  });
});
