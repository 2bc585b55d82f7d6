CREATE TABLE "ledger_paid" (
	"owner" text PRIMARY KEY NOT NULL,
	"amount" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "trust" (
	"holder" text PRIMARY KEY NOT NULL,
	"valid_in_a_row" integer NOT NULL,
	"since_audit" integer NOT NULL,
	"failures" integer NOT NULL,
	"strikes_ms" bigint[] NOT NULL
);

--> statement-breakpoint
INSERT INTO "ledger_paid" SELECT p."owner", sum(p."amount") FROM "ledger_postings" p JOIN "ledger_events" e ON e."sequence" = p."sequence" WHERE p."kind" = 'user' AND e."id" LIKE 'payout/%' GROUP BY p."owner";
