//! Embeddings and images.

use autoshare_broker::{Broker, BrokerError, Dialect, ImageWish, ModelError, Operation, ProviderSpec};
use autoshare_testkit::Turn;

use crate::dialects::at;
use crate::serve;

fn with_images(spec: &mut ProviderSpec) {
    spec.operations = Some(vec![Operation::Embeddings, Operation::Images]);
}

#[tokio::test]
async fn texts_become_vectors_in_their_order() {
    for (dialect, path) in
        [(Dialect::Chat, "/v1/embeddings"), (Dialect::Gemini, "/v1/models/scripted:batchEmbedContents")]
    {
        let server = serve([Turn::text("x")]);
        let broker = Broker::new(at(&server.base_url(), dialect, with_images)).unwrap();
        let got = broker.embed("test/scripted", &["abc", "fives", ""]).await.unwrap();
        assert_eq!(got.vectors, [[3.0, 0.0], [5.0, 1.0], [0.0, 2.0]], "{dialect:?}");
        assert!(got.usage.input_tokens >= 2);
        assert_eq!(server.requests()[0].path, path);
    }
}

#[tokio::test]
async fn a_description_becomes_an_image() {
    let server = serve([Turn::text("x")]);
    let broker = Broker::new(at(&server.base_url(), Dialect::Chat, with_images)).unwrap();
    let wish = ImageWish { size: Some("1024x1024".into()), count: 2 };
    let got = broker.image("test/dall-e-3", "a cat", &wish).await.unwrap();
    assert_eq!((got.images.len(), got.images[0].media_type), (2, "image/png"));
    let sent = &server.requests()[0].body;
    assert_eq!((&sent["prompt"], &sent["size"]), (&"a cat".into(), &"1024x1024".into()));
    assert_eq!(sent["response_format"], "b64_json");
    broker.image("test/gpt-image-1", "a cat", &ImageWish::default()).await.unwrap();
    assert!(server.requests()[1].body.get("response_format").is_none());
}

#[tokio::test]
async fn too_much_and_what_a_provider_has_not_is_refused_before_anything_is_sent() {
    let server = serve([Turn::text("x")]);
    let broker = Broker::new(at(&server.base_url(), Dialect::Chat, |spec| spec.operations = Some(vec![]))).unwrap();
    let many = vec!["x"; 257];
    let long = "x".repeat(1024 * 1024 + 1);
    for texts in [&many[..], &[long.as_str()], &[]] {
        let error = broker.embed("test/m", texts).await.unwrap_err();
        assert!(matches!(error, ModelError::Setup(BrokerError::TooMuch { .. })), "{error}");
    }
    let wish = ImageWish { size: None, count: 11 };
    assert!(broker.image("test/m", "x", &wish).await.unwrap_err().to_string().contains("10 at most"));
    assert!(broker.embed("test/m", &["x"]).await.unwrap_err().to_string().contains("test has no embeddings"));
    let error = broker.image("test/m", "x", &ImageWish::default()).await.unwrap_err().to_string();
    assert!(error.contains("has no images"), "{error}");
    assert!(server.requests().is_empty());
}
