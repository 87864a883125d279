const { defineConfig } = require("drizzle-kit");

module.exports = defineConfig({
  out: "./migrations",
  dialect: "postgresql",
  dbCredentials: { url: process.env.DATABASE_URL },
});
