CREATE TABLE "invitations" (
	"handle" text PRIMARY KEY NOT NULL,
	"team" text NOT NULL,
	"inviter" text,
	"hash" text NOT NULL,
	"expires_at_ms" bigint NOT NULL,
	"attempts" integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE "account_identities" ADD COLUMN "name" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "account_identities" ADD COLUMN "removed_at_ms" bigint;--> statement-breakpoint
ALTER TABLE "team_members" ADD COLUMN "is_owner" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "invitations" ADD CONSTRAINT "invitations_team_teams_account_fk" FOREIGN KEY ("team") REFERENCES "public"."teams"("account") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "invitations" ADD CONSTRAINT "invitations_inviter_accounts_id_fk" FOREIGN KEY ("inviter") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "invitations_team_index" ON "invitations" USING btree ("team");--> statement-breakpoint
CREATE INDEX "invitations_inviter_index" ON "invitations" USING btree ("inviter");--> statement-breakpoint
CREATE INDEX "accounts_family_index" ON "accounts" USING btree ("family");