//! What must hold of any blocks and any fields: what a fuzz target judges by.

use super::{Decoder, Encoder, Fault, USUAL_TABLE};
use bytes::BytesMut;
use http::StatusCode;

/// A name, a value, and whether it is sensitive.
type Owned = (Vec<u8>, Vec<u8>, bool);

/// Does what a script says, step by step: a byte for what is done, one for how many bytes it is done with, and these.
///
/// # Panics
/// When a table is larger than it may be, or what is encoded is not what is decoded.
pub(crate) fn fuzz(mut script: &[u8]) {
    let mut blocks = Some(Decoder::new(USUAL_TABLE as usize));
    let mut both = Both::new();
    while let [step, length, rest @ ..] = script {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        match step % 4 {
            0 => blocks = blocks.and_then(|blocks| decode_any(blocks, bytes)),
            1 => both.field(bytes),
            2 => both.set_max(bytes),
            _ => both.end(),
        }
        script = rest;
    }
    both.end();
}

/// Decodes any bytes, and gives the decoder back if they are a block.
fn decode_any(mut decoder: Decoder, block: &[u8]) -> Option<Decoder> {
    let decoded = decode(&mut decoder, block);
    decoder.table().check();
    decoded.ok().map(|_| decoder)
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Owned>, Fault> {
    let mut fields = Vec::new();
    decoder.decode(block, &mut Vec::new(), |field| {
        fields.push((
            field.name.to_vec(),
            field.value.to_vec(),
            field.is_sensitive,
        ));
    })?;
    Ok(fields)
}

/// Both ends of a connection.
struct Both {
    encoder: Encoder,
    decoder: Decoder,
    /// The fields of the block that is being written.
    fields: Vec<Owned>,
    block: BytesMut,
}

impl Both {
    fn new() -> Self {
        let mut both = Self {
            encoder: Encoder::new(),
            decoder: Decoder::new(USUAL_TABLE as usize),
            fields: Vec::new(),
            block: BytesMut::new(),
        };
        both.begin();
        both
    }

    fn begin(&mut self) {
        self.block.clear();
        self.encoder.begin(&mut self.block);
        self.encoder.status(StatusCode::FOUND, &mut self.block);
        self.fields = vec![(b":status".to_vec(), b"302".to_vec(), false)];
    }

    /// Writes a field, of which the first byte says how long its name is.
    fn field(&mut self, bytes: &[u8]) {
        let Some((length, bytes)) = bytes.split_first() else {
            return;
        };
        let (name, value) = bytes.split_at(usize::from(*length).min(bytes.len()));
        self.encoder.field(name, value, &mut self.block);
        let name = name.to_ascii_lowercase();
        let is_sensitive = super::names::is_sensitive(&name);
        self.fields.push((name, value.to_vec(), is_sensitive));
    }

    /// Changes the size of the table, to what the first two bytes say.
    fn set_max(&mut self, bytes: &[u8]) {
        let Some(size) = bytes.first_chunk() else {
            return;
        };
        self.check();
        self.encoder.set_max(u32::from(u16::from_be_bytes(*size)));
        self.begin();
    }

    /// Ends a block, and begins the next one.
    fn end(&mut self) {
        self.check();
        self.begin();
    }

    fn check(&mut self) {
        let decoded = decode(&mut self.decoder, &self.block);
        assert_eq!(decoded.as_ref(), Ok(&self.fields));
        self.encoder.table().check();
        assert!(self.encoder.table().is_like(self.decoder.table()));
    }
}
