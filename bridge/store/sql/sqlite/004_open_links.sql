-- Which links are open is asked with every bind: however many have ended, that costs the same.

DROP INDEX link_process;
CREATE INDEX link_open ON link (process) WHERE closed_at IS NULL;
CREATE INDEX link_closed ON link (closed_at) WHERE closed_at IS NOT NULL;
