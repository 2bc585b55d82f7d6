CREATE TABLE "ledger_balances" (
	"kind" text NOT NULL,
	"owner" text NOT NULL,
	"session" text NOT NULL,
	"purse" text NOT NULL,
	"amount" bigint NOT NULL,
	CONSTRAINT "ledger_balances_kind_owner_session_purse_pk" PRIMARY KEY("kind","owner","session","purse"),
	CONSTRAINT "only_issuance_is_negative" CHECK ("ledger_balances"."amount" > 0 or ("ledger_balances"."kind" = 'issuance' and "ledger_balances"."amount" < 0))
);
--> statement-breakpoint
CREATE TABLE "ledger_events" (
	"sequence" bigint PRIMARY KEY NOT NULL,
	"id" text NOT NULL,
	"at_ms" bigint NOT NULL,
	"command" text NOT NULL,
	"hash" text NOT NULL,
	CONSTRAINT "ledger_events_id_unique" UNIQUE("id")
);
--> statement-breakpoint
CREATE TABLE "ledger_heads" (
	"size" bigint PRIMARY KEY NOT NULL,
	"root" text NOT NULL,
	"at_ms" bigint NOT NULL,
	"signature" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "ledger_nodes" (
	"level" integer NOT NULL,
	"index" bigint NOT NULL,
	"hash" text NOT NULL,
	CONSTRAINT "ledger_nodes_level_index_pk" PRIMARY KEY("level","index")
);
--> statement-breakpoint
CREATE TABLE "ledger_postings" (
	"sequence" bigint NOT NULL,
	"line" integer NOT NULL,
	"kind" text NOT NULL,
	"owner" text NOT NULL,
	"session" text NOT NULL,
	"purse" text NOT NULL,
	"amount" bigint NOT NULL,
	CONSTRAINT "ledger_postings_sequence_line_pk" PRIMARY KEY("sequence","line")
);
--> statement-breakpoint
CREATE TABLE "ledger_state" (
	"only" integer PRIMARY KEY NOT NULL,
	"size" bigint NOT NULL,
	"previous" text NOT NULL,
	"peaks" text NOT NULL,
	"public_key" text NOT NULL,
	"private_key" text NOT NULL,
	CONSTRAINT "one_row" CHECK ("ledger_state"."only" = 1)
);
--> statement-breakpoint
CREATE INDEX "ledger_balances_owner_index" ON "ledger_balances" USING btree ("owner");--> statement-breakpoint
CREATE INDEX "ledger_postings_owner_sequence_index" ON "ledger_postings" USING btree ("owner","sequence");