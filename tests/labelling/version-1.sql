BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at DATETIME NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	annotator VARCHAR(200) NOT NULL, 
	image_id INTEGER, 
	labels JSON, 
	purpose VARCHAR(16), 
	seconds FLOAT, 
	origin VARCHAR(16), 
	suggested JSON, 
	confidence FLOAT, 
	round INTEGER, 
	target INTEGER, 
	CONSTRAINT fk_events_image FOREIGN KEY(image_id) REFERENCES images (id), 
	CONSTRAINT fk_events_target FOREIGN KEY(target) REFERENCES events (id)
);
INSERT INTO "events" VALUES(1,'2026-11-29 08:00:00.000000','answer','Ann',1,'["cat"]',NULL,2.5,'typed',NULL,NULL,0,NULL);
CREATE TABLE images (
	id INTEGER NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	name VARCHAR(4096) NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_images_digest_name UNIQUE (digest, name)
);
INSERT INTO "images" VALUES(1,'00','b.png');
CREATE TABLE leases (
	image_id INTEGER NOT NULL, 
	annotator VARCHAR(200) NOT NULL, 
	until FLOAT NOT NULL, 
	PRIMARY KEY (image_id), 
	CONSTRAINT fk_leases_image FOREIGN KEY(image_id) REFERENCES images (id)
);
CREATE TABLE project (
	id INTEGER NOT NULL, 
	several BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "project" VALUES(1,0);
CREATE TABLE tables (
	place VARCHAR(4096) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (place)
);
INSERT INTO "sqlite_sequence" VALUES('events',1);
COMMIT;
