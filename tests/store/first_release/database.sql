-- What the service of 21 November 2026 had stored: builds that are ready, failed and cancelled, one that runs, one whose process was killed.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE askers (
	name VARCHAR(255) NOT NULL, 
	build_id VARCHAR(32) NOT NULL, 
	wants BOOLEAN NOT NULL, 
	PRIMARY KEY (name, build_id), 
	FOREIGN KEY(build_id) REFERENCES builds (id) ON DELETE CASCADE
);
INSERT INTO "askers" VALUES('alice','19aa5f2e30100000001',1);
INSERT INTO "askers" VALUES('bob','19aa5f2e30200000002',1);
INSERT INTO "askers" VALUES('alice','19aa5f2e30300000003',1);
INSERT INTO "askers" VALUES('alice','19aa5f2e30400000004',1);
INSERT INTO "askers" VALUES('bob','19aa5f2e30400000004',1);
INSERT INTO "askers" VALUES('alice','19aa5f2e30500000005',1);
CREATE TABLE builds (
	id VARCHAR(32) NOT NULL, 
	provider VARCHAR(32) NOT NULL, 
	repo TEXT NOT NULL, 
	url TEXT NOT NULL, 
	slug TEXT NOT NULL, 
	ref TEXT NOT NULL, 
	"commit" VARCHAR(64) NOT NULL, 
	image VARCHAR(300) NOT NULL, 
	environment VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	phase VARCHAR(16) NOT NULL, 
	owner VARCHAR(255) NOT NULL, 
	created DATETIME NOT NULL, 
	started DATETIME, 
	finished DATETIME, 
	error JSON, 
	force BOOLEAN NOT NULL, 
	last_event INTEGER NOT NULL, 
	cursor VARCHAR(255) NOT NULL, digest VARCHAR(80) DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "builds" VALUES('19aa5f2e30100000001','git','https://git.example.org/o/made','https://git.example.org/o/made','https://git.example.org/o/made','main','a16f63637630e15997fbc3cb9684d2bd40eabc69','https-3a-2f-2fgit-2eexample-2eorg-2fo-2fmade-371936-a16f63637630e15997fbc3cb9684d2bd40eabc69-82b02216','dbeaa98220122e4d7a3a83983d2ff6eb','ready','done','alice','2026-11-21 10:00:01.000000','2026-11-21 10:00:01.000000','2026-11-21 10:00:41.000000',NULL,0,7,'930','');
INSERT INTO "builds" VALUES('19aa5f2e30200000002','git','https://git.example.org/o/failed','https://git.example.org/o/failed','https://git.example.org/o/failed','main','2222222222222222222222222222222222222222','https-3a-2f-2fgit-2eexample-2eorg-2fo-2ffailed-eca8b6-2222222222222222222222222222222222222222-82b02216','','failed','done','bob','2026-11-21 10:00:02.000000','2026-11-21 10:00:02.000000','2026-11-21 10:00:50.000000','{"code": "fetch_failed", "message": "The repository could not be fetched.", "hint": null}',0,1,'','');
INSERT INTO "builds" VALUES('19aa5f2e30300000003','git','https://git.example.org/o/cancelled','https://git.example.org/o/cancelled','https://git.example.org/o/cancelled','main','3333333333333333333333333333333333333333','https-3a-2f-2fgit-2eexample-2eorg-2fo-2fcancelled-0eec33-3333333333333333333333333333333333333333-82b02216','','cancelled','done','alice','2026-11-21 10:00:03.000000','2026-11-21 10:00:03.000000','2026-11-21 10:00:51.000000',NULL,0,1,'','');
INSERT INTO "builds" VALUES('19aa5f2e30400000004','git','https://git.example.org/o/running','https://git.example.org/o/running','https://git.example.org/o/running','main','9cbf05024a0c12c27297a99fcf954faa9b5fd7fe','https-3a-2f-2fgit-2eexample-2eorg-2fo-2frunning-12e8b9-9cbf05024a0c12c27297a99fcf954faa9b5fd7fe-82b02216','','running','building','alice','2026-11-21 10:00:04.000000','2026-11-21 10:00:04.000000',NULL,NULL,0,8,'622','');
INSERT INTO "builds" VALUES('19aa5f2e30500000005','git','https://git.example.org/o/lost','https://git.example.org/o/lost','https://git.example.org/o/lost','main','5555555555555555555555555555555555555555','https-3a-2f-2fgit-2eexample-2eorg-2fo-2flost-1a878d-5555555555555555555555555555555555555555-82b02216','','running','fetching','alice','2026-11-21 10:00:05.000000','2026-11-21 10:00:05.000000',NULL,NULL,0,0,'','');
CREATE TABLE events (
	build_id VARCHAR(32) NOT NULL, 
	number INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (build_id, number), 
	FOREIGN KEY(build_id) REFERENCES builds (id) ON DELETE CASCADE
);
INSERT INTO "events" VALUES('19aa5f2e30100000001',1,'phase','{"phase": "fetching", "message": "Fetching the repository"}');
INSERT INTO "events" VALUES('19aa5f2e30100000001',2,'log','{"text": "Fetching https://git.example.org/o/made at a16f63637630e15997fbc3cb9684d2bd40eabc69"}');
INSERT INTO "events" VALUES('19aa5f2e30100000001',3,'phase','{"phase": "building", "message": "Making the environment"}');
INSERT INTO "events" VALUES('19aa5f2e30100000001',4,'log','{"text": "The environment is described by requirements.txt."}');
INSERT INTO "events" VALUES('19aa5f2e30100000001',5,'log','{"text": "It is shared by all commits that describe it the same way: nothing in it depends on the rest of the repository."}');
INSERT INTO "events" VALUES('19aa5f2e30100000001',6,'log','{"text": "installing"}');
INSERT INTO "events" VALUES('19aa5f2e30100000001',7,'end','{"state": "ready", "image": "https-3a-2f-2fgit-2eexample-2eorg-2fo-2fmade-371936-a16f63637630e15997fbc3cb9684d2bd40eabc69-82b02216"}');
INSERT INTO "events" VALUES('19aa5f2e30200000002',1,'end','{"state": "failed", "error": {"code": "fetch_failed", "message": "The repository could not be fetched.", "hint": null}}');
INSERT INTO "events" VALUES('19aa5f2e30300000003',1,'end','{"state": "cancelled"}');
INSERT INTO "events" VALUES('19aa5f2e30400000004',1,'phase','{"phase": "fetching", "message": "Fetching the repository"}');
INSERT INTO "events" VALUES('19aa5f2e30400000004',2,'log','{"text": "Fetching https://git.example.org/o/running at 9cbf05024a0c12c27297a99fcf954faa9b5fd7fe"}');
INSERT INTO "events" VALUES('19aa5f2e30400000004',3,'phase','{"phase": "building", "message": "Making the environment"}');
INSERT INTO "events" VALUES('19aa5f2e30400000004',4,'log','{"text": "The environment is described by postBuild."}');
INSERT INTO "events" VALUES('19aa5f2e30400000004',5,'log','{"text": "It belongs to this commit alone: postBuild may use any file."}');
INSERT INTO "events" VALUES('19aa5f2e30400000004',6,'log','{"text": "installing"}');
INSERT INTO "events" VALUES('19aa5f2e30400000004',7,'log','{"text": "Running postBuild"}');
INSERT INTO "events" VALUES('19aa5f2e30400000004',8,'log','{"text": "before"}');
CREATE TABLE images (
	name VARCHAR(300) NOT NULL, 
	last_used DATETIME NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "images" VALUES('https-3a-2f-2fgit-2eexample-2eorg-2fo-2fmade-371936-a16f63637630e15997fbc3cb9684d2bd40eabc69-82b02216','2026-11-21 10:01:00.000000');
CREATE INDEX builds_by_state ON builds (state, id);
CREATE INDEX builds_by_repo ON builds (repo, id);
CREATE INDEX builds_by_owner ON builds (owner, id);
CREATE UNIQUE INDEX one_unfinished_build_per_image ON builds (image) WHERE state IN ('queued', 'running');
CREATE INDEX askers_by_build ON askers (build_id);
CREATE INDEX builds_by_image ON builds (image, state, id);
CREATE INDEX builds_by_repo_and_state ON builds (repo, state, id);
CREATE INDEX builds_by_owner_and_state ON builds (owner, state, id);
CREATE INDEX builds_by_end ON builds (finished);
COMMIT;
