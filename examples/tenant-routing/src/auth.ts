import { createRemoteJWKSet, errors, jwtVerify, type JWTHeaderParameters } from "jose";

import { forbidden, Refusal, unavailable } from "./errors.js";

export interface Issuer {
  issuer: string;
  audience: string;
  jwks: URL;
  /** The claim that holds the catalog's customer_id. */
  claim: string;
}

/** The one algorithm that is accepted, whatever a token's header asks for. */
const algorithm = "RS256";

/** A customer_id as PostgreSQL prints it: one spelling for each customer, so that it can be a key. */
const customerID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Errors of jose that are about the issuer's keys and not about the token. */
const aboutKeys = [errors.JWKSTimeout, errors.JWKSInvalid, errors.JWKSMultipleMatchingKeys];

/** Returns a function that verifies an Authorization header and returns the customer that its token names. */
export function authenticator({ issuer, audience, jwks, claim }: Issuer) {
  // Fetched on first use and kept. A kid that is not in it fetches it again, at most every 30 s.
  const keys = createRemoteJWKSet(jwks, { timeoutDuration: 5000 });

  // Only the issuer's published keys count: jose ignores a key or an address of keys in the token's own header. Without
  // a kid it would pick a key by the algorithm.
  const keyOf = (header: JWTHeaderParameters) => {
    if (!header.kid) throw new errors.JWSInvalid("the token has no kid");
    return keys(header);
  };

  return async (header: string | undefined): Promise<string> => {
    const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(header ?? "")?.[1];
    if (!token) throw new Refusal(401, "a bearer token is required");
    const { payload } = await jwtVerify(token, keyOf, {
      issuer,
      audience,
      algorithms: [algorithm],
      requiredClaims: ["exp"],
      clockTolerance: 5,
    }).catch((error: unknown) => {
      throw aboutToken(error) ? new Refusal(401, "the token is not valid", error) : unavailable(error);
    });
    const customer = payload[claim];
    if (typeof customer !== "string" || !customerID.test(customer)) throw forbidden();
    return customer;
  };
}

/** Tells a bad token from an issuer that cannot be asked, which is no reason to log a user out. */
function aboutToken(error: unknown): boolean {
  return error instanceof errors.JOSEError && error.code !== errors.JOSEError.code &&
    !aboutKeys.some((kind) => error instanceof kind);
}
