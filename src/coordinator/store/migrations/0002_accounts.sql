CREATE TABLE "account_identities" (
	"kind" text NOT NULL,
	"subject" text NOT NULL,
	"account" text NOT NULL,
	"added_at_ms" bigint NOT NULL,
	CONSTRAINT "account_identities_kind_subject_pk" PRIMARY KEY("kind","subject")
);
--> statement-breakpoint
CREATE TABLE "account_ties" (
	"account" text NOT NULL,
	"kind" text NOT NULL,
	"value" text NOT NULL,
	"seen_at_ms" bigint NOT NULL,
	CONSTRAINT "account_ties_account_kind_value_pk" PRIMARY KEY("account","kind","value")
);
--> statement-breakpoint
CREATE TABLE "accounts" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"roles" text[] NOT NULL,
	"family" text NOT NULL,
	"created_at_ms" bigint NOT NULL,
	"erased_at_ms" bigint
);
--> statement-breakpoint
CREATE TABLE "api_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"account" text NOT NULL,
	"name" text NOT NULL,
	"hash" text NOT NULL,
	"models" text[],
	"pools" text[],
	"budget" bigint,
	"requests_a_minute" integer,
	"spent" bigint NOT NULL,
	"created_at_ms" bigint NOT NULL,
	"used_at_ms" bigint,
	"revoked_at_ms" bigint,
	CONSTRAINT "spent_is_not_negative" CHECK ("api_keys"."spent" >= 0)
);
--> statement-breakpoint
CREATE TABLE "key_sessions" (
	"session" text PRIMARY KEY NOT NULL,
	"key" text NOT NULL,
	"held" bigint NOT NULL,
	"charged" bigint,
	CONSTRAINT "charged_is_within_held" CHECK ("key_sessions"."charged" is null or "key_sessions"."charged" between 0 and "key_sessions"."held")
);
--> statement-breakpoint
CREATE TABLE "starter_grants" (
	"account" text PRIMARY KEY NOT NULL,
	"block" text,
	"amount" bigint NOT NULL,
	"last_day" text NOT NULL,
	"granted_at_ms" bigint NOT NULL,
	"is_posted" boolean NOT NULL
);
--> statement-breakpoint
CREATE TABLE "starter_pools" (
	"day" text PRIMARY KEY NOT NULL,
	"issued" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "team_members" (
	"team" text NOT NULL,
	"account" text NOT NULL,
	CONSTRAINT "team_members_team_account_pk" PRIMARY KEY("team","account")
);
--> statement-breakpoint
CREATE TABLE "teams" (
	"account" text PRIMARY KEY NOT NULL,
	"models" text[],
	"pools" text[]
);
--> statement-breakpoint
ALTER TABLE "account_identities" ADD CONSTRAINT "account_identities_account_accounts_id_fk" FOREIGN KEY ("account") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "account_ties" ADD CONSTRAINT "account_ties_account_accounts_id_fk" FOREIGN KEY ("account") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_account_accounts_id_fk" FOREIGN KEY ("account") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_sessions" ADD CONSTRAINT "key_sessions_key_api_keys_id_fk" FOREIGN KEY ("key") REFERENCES "public"."api_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "starter_grants" ADD CONSTRAINT "starter_grants_account_accounts_id_fk" FOREIGN KEY ("account") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "team_members" ADD CONSTRAINT "team_members_team_teams_account_fk" FOREIGN KEY ("team") REFERENCES "public"."teams"("account") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "team_members" ADD CONSTRAINT "team_members_account_accounts_id_fk" FOREIGN KEY ("account") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "teams" ADD CONSTRAINT "teams_account_accounts_id_fk" FOREIGN KEY ("account") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "account_identities_account_index" ON "account_identities" USING btree ("account");--> statement-breakpoint
CREATE INDEX "account_ties_kind_seen_at_ms_index" ON "account_ties" USING btree ("kind","seen_at_ms");--> statement-breakpoint
CREATE INDEX "api_keys_account_index" ON "api_keys" USING btree ("account");--> statement-breakpoint
CREATE INDEX "key_sessions_key_index" ON "key_sessions" USING btree ("key");--> statement-breakpoint
CREATE INDEX "starter_grants_block_index" ON "starter_grants" USING btree ("block");--> statement-breakpoint
CREATE INDEX "team_members_account_index" ON "team_members" USING btree ("account");