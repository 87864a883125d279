// npm run issuer -- CUSTOMER_ID…: serves an issuer's keys on port 4000, or PORT. Prints what the application must know
// of it, and a token for each customer.
import { audience, startIssuer } from "./issuer.js";

const { issuer, jwks, sign } = await startIssuer(Number(process.env.PORT || 4000));
console.log(`JWKS_URL=${jwks} TOKEN_ISSUER=${issuer} TOKEN_AUDIENCE=${audience}`);
for (const customer of process.argv.slice(2)) console.log(await sign({ org_id: customer }));
