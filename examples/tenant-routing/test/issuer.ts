import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTHeaderParameters, type JWTPayload } from "jose";

export const audience = "https://notes.example";
export const kid = "2026-01";

export interface TestIssuer {
  issuer: string;
  jwks: URL;
  publicKey: CryptoKey;
  /** Signs a token that is good for an hour. What is given replaces the usual; undefined leaves it out. */
  sign: (claims: JWTPayload, header?: Partial<JWTHeaderParameters>, key?: CryptoKey | Uint8Array) => Promise<string>;
  close: () => void;
}

/** Stands in for Auth0 or the like: makes a key, publishes it, and signs tokens with it. */
export async function startIssuer(port = 0): Promise<TestIssuer> {
  const { publicKey, privateKey } = await generateKeyPair("RS256");
  const keys = [{ ...(await exportJWK(publicKey)), kid, use: "sig" }];
  const server = createServer((_, response) => {
    response.setHeader("Content-Type", "application/json").end(JSON.stringify({ keys }));
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

  return {
    issuer,
    jwks: new URL("jwks.json", issuer),
    publicKey,
    sign: (claims, header = {}, key = privateKey) => {
      const now = Math.floor(Date.now() / 1000);
      return new SignJWT({ iss: issuer, aud: audience, sub: "user", iat: now, exp: now + 3600, ...claims })
        .setProtectedHeader({ alg: "RS256", kid, ...header })
        .sign(key);
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
