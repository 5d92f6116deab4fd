-- Which CA has signed a certificate: the digest of its public key (64 hexadecimal digits); none for what was issued before
-- there could be several. And when a login with it was seen, which is noted while a CA is being rotated alone.
ALTER TABLE certificates ADD COLUMN authority TEXT;
ALTER TABLE certificates ADD COLUMN used BIGINT;
