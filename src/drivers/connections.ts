import { Client, Dispatcher, type buildConnector } from 'undici';

export interface ConnectionsSettings {
  /** At most. */
  connections: number;
  connect: buildConnector.connector;
  /** Without a single byte while one is expected. */
  idleMs: number;
}

/**
 * Connections to one origin, each with one request at a time, as undici's `Pool` holds them: one more is opened when
 * none is free, one that cannot be made is forgotten, and requests for which there is none wait in turn.
 *
 * `Pool` looks through all of its connections for a free one, twice for each request, and tells of each that becomes
 * free. Here those that are free lie on a stack, and the one that was used last is used first. A first copy of 20,020 small
 * objects took 2 % less CPU time (median of six runs of both builds side by side).
 */
export class Connections extends Dispatcher {
  readonly #origin: URL;
  readonly #settings: ConnectionsSettings;
  readonly #all = new Set<Connection>();
  readonly #free: Connection[] = [];
  readonly #waiting: Request[] = [];
  /** Where requests go that come too late: undici refuses them there in its own words. */
  #destroyed: Client | undefined;

  constructor(origin: string, settings: ConnectionsSettings) {
    super();
    this.#origin = new URL(origin);
    this.#settings = settings;
    // What `compose` returns calls it as a method of its own.
    this.destroy = this.destroy.bind(this);
  }

  /** Always true: whoever asks waits for his answer, and not for a place. */
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (this.#destroyed !== undefined) {
      return this.#destroyed.dispatch(options, handler);
    }
    const connection = this.#free.pop() ?? this.#open();
    if (connection === undefined) {
      this.#waiting.push({ options, handler });
    } else {
      this.#send(connection, { options, handler });
    }
    return true;
  }

  /** Ends what is under way, and what waits, with undici's `ClientDestroyedError`. */
  override async destroy(): Promise<void> {
    if (this.#destroyed !== undefined) {
      return;
    }
    const destroyed = this.#newClient();
    const clients = [destroyed, ...[...this.#all].map(({ client }) => client)];
    this.#destroyed = destroyed;
    this.#all.clear();
    const ended = clients.map((client) => client.destroy());
    for (const { options, handler } of this.#waiting.splice(0)) {
      destroyed.dispatch(options, handler);
    }
    await Promise.all(ended);
  }

  #open(): Connection | undefined {
    if (this.#all.size >= this.#settings.connections) {
      return undefined;
    }
    const client = this.#newClient();
    const connection = { client, isFree: false };
    client.on('drain', () => {
      this.#release(connection);
    });
    client.on('connectionError', () => {
      this.#all.delete(connection);
      this.#replace();
    });
    this.#all.add(connection);
    return connection;
  }

  #newClient(): Client {
    const { connect, idleMs } = this.#settings;
    return new Client(this.#origin, {
      connect,
      pipelining: 1,
      headersTimeout: idleMs,
      bodyTimeout: idleMs,
    });
  }

  #send(connection: Connection, { options, handler }: Request): void {
    const { client } = connection;
    connection.isFree = false;
    // After a request that is refused before it is sent, as one with a header that HTTP does not allow, no `drain` comes.
    if (client.dispatch(options, handler) || client.stats.size === 0) {
      this.#release(connection);
    }
  }

  #release(connection: Connection): void {
    if (connection.isFree || !this.#all.has(connection)) {
      return;
    }
    const next = this.#waiting.shift();
    if (next === undefined) {
      connection.isFree = true;
      this.#free.push(connection);
    } else {
      this.#send(connection, next);
    }
  }

  /** One that cannot be made is never free again where the certificate is for another name (undici issue 3895). */
  #replace(): void {
    const connection = this.#waiting.length === 0 ? undefined : this.#open();
    const next = connection === undefined ? undefined : this.#waiting.shift();
    if (connection !== undefined && next !== undefined) {
      this.#send(connection, next);
    }
  }
}

interface Connection {
  readonly client: Client;
  isFree: boolean;
}

interface Request {
  options: Dispatcher.DispatchOptions;
  handler: Dispatcher.DispatchHandler;
}
