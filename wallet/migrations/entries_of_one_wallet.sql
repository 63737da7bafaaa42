-- The index was built before, so this takes a moment. The id comes first: new ids sort last, so a charge writes to
-- the end of the index, and staff find an entry by its id alone.
ALTER TABLE wallet_entry DROP CONSTRAINT wallet_entry_pkey,
    ADD CONSTRAINT wallet_entry_pkey PRIMARY KEY USING INDEX wallet_entry_id_wallet;
ALTER TABLE wallet_entry ADD CONSTRAINT wallet_entry_reverses_an_entry_of_its_wallet
    FOREIGN KEY (wallet_id, reverses_id) REFERENCES wallet_entry (wallet_id, id) NOT VALID;
ALTER TABLE wallet_giveback ADD CONSTRAINT wallet_giveback_is_of_an_entry_of_its_wallet
    FOREIGN KEY (wallet_id, entry_id) REFERENCES wallet_entry (wallet_id, id);

--- reverse:
ALTER TABLE wallet_giveback DROP CONSTRAINT wallet_giveback_is_of_an_entry_of_its_wallet;
ALTER TABLE wallet_entry DROP CONSTRAINT wallet_entry_reverses_an_entry_of_its_wallet;
CREATE UNIQUE INDEX wallet_entry_id_wallet ON wallet_entry (id, wallet_id);
ALTER TABLE wallet_entry DROP CONSTRAINT wallet_entry_pkey, ADD CONSTRAINT wallet_entry_pkey PRIMARY KEY (id);
