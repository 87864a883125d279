/** An answer other than success. Its message goes to the client, so it names no host, database or reason to probe. */
export class Refusal extends Error {
  constructor(
    readonly status: 400 | 401 | 403 | 503,
    message: string,
    /** For the log only. */
    override readonly cause?: unknown,
  ) {
    super(message);
  }
}

export const forbidden = () => new Refusal(403, "this token does not open this organization");
export const unavailable = (cause: unknown) => new Refusal(503, "not available right now, try again", cause);
export const beingCreated = (cause?: unknown) =>
  new Refusal(503, "this organization is being set up, try again", cause);
