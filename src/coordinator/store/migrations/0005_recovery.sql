CREATE TABLE "recovery_copies" (
	"kind" text NOT NULL,
	"subject" text NOT NULL,
	"lookup" text NOT NULL,
	"iv" text NOT NULL,
	"wrapped" text NOT NULL,
	"kept_at_ms" bigint NOT NULL,
	CONSTRAINT "recovery_copies_kind_subject_pk" PRIMARY KEY("kind","subject"),
	CONSTRAINT "recovery_copies_lookup_unique" UNIQUE("lookup")
);
--> statement-breakpoint
ALTER TABLE "recovery_copies" ADD CONSTRAINT "recovery_copies_kind_subject_account_identities_kind_subject_fk" FOREIGN KEY ("kind","subject") REFERENCES "public"."account_identities"("kind","subject") ON DELETE cascade ON UPDATE no action;