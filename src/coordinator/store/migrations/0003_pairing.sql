CREATE TABLE "pairings" (
	"handle" text PRIMARY KEY NOT NULL,
	"account" text NOT NULL,
	"hash" text NOT NULL,
	"expires_at_ms" bigint NOT NULL,
	"attempts" integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "successor" text;--> statement-breakpoint
ALTER TABLE "pairings" ADD CONSTRAINT "pairings_account_accounts_id_fk" FOREIGN KEY ("account") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;