CREATE TABLE "batches" (
	"id" text PRIMARY KEY NOT NULL,
	"account" text NOT NULL,
	"input_file" text NOT NULL,
	"output_file" text NOT NULL,
	"error_file" text NOT NULL,
	"endpoint" text NOT NULL,
	"status" text NOT NULL,
	"times" jsonb NOT NULL,
	"ends_at_ms" bigint NOT NULL,
	"total" integer NOT NULL,
	"completed" integer NOT NULL,
	"failed" integer NOT NULL,
	"runs" integer NOT NULL,
	"runner" text,
	"runs_until_ms" bigint
);
--> statement-breakpoint
CREATE TABLE "sealed_objects" (
	"id" text PRIMARY KEY NOT NULL,
	"key" text NOT NULL,
	"kind" text NOT NULL,
	"salt" text NOT NULL,
	"header" text NOT NULL,
	"bytes" bigint NOT NULL,
	"created_at_ms" bigint NOT NULL,
	"expires_at_ms" bigint
);
--> statement-breakpoint
CREATE TABLE "sealed_parts" (
	"object" text NOT NULL,
	"index" integer NOT NULL,
	"sealed" text NOT NULL,
	CONSTRAINT "sealed_parts_object_index_pk" PRIMARY KEY("object","index")
);
--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "stores_responses" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "batches" ADD CONSTRAINT "batches_id_sealed_objects_id_fk" FOREIGN KEY ("id") REFERENCES "public"."sealed_objects"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sealed_objects" ADD CONSTRAINT "sealed_objects_key_api_keys_id_fk" FOREIGN KEY ("key") REFERENCES "public"."api_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sealed_parts" ADD CONSTRAINT "sealed_parts_object_sealed_objects_id_fk" FOREIGN KEY ("object") REFERENCES "public"."sealed_objects"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "batches_status_index" ON "batches" USING btree ("status");--> statement-breakpoint
CREATE INDEX "sealed_objects_key_created_at_ms_index" ON "sealed_objects" USING btree ("key","created_at_ms");--> statement-breakpoint
CREATE INDEX "sealed_objects_expires_at_ms_index" ON "sealed_objects" USING btree ("expires_at_ms");